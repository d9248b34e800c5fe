/**
 * A machine in a process of Node that serves this page (`--display web`): the same messages over a WebSocket. The process is the machine's owner; when the connection is lost
 * the page tries to come back, until the process says that it has ended.
 */
import type { PowerState, ToHost } from "../protocol.ts";
import { decodeFromHost, encodeToHost } from "../wire.ts";
import type { MachineHost, Receive } from "./machine-host.ts";

/** Paths beside the page. */
const machinePath = "machine";
const mediaPath = "media";
const retry = { first: 500, longest: 5000 } as const;

export class RemoteHost implements MachineHost {
  private readonly receive: Receive;
  private socket: WebSocket | undefined;
  private wait: number = retry.first;
  private isOver = false;
  private wasOpen = false;
  state: PowerState = "starting";

  constructor(receive: Receive) {
    this.receive = receive;
    this.connect();
  }

  send(message: ToHost): void {
    if (message.kind === "insert" && message.source.kind === "file") {
      const { place } = message;
      void this.upload(message.source.file).then((source) => source && this.send({ kind: "insert", place, source }));
    } else if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(encodeToHost(message));
  }

  /** Ends the process's run. */
  async switchOff(): Promise<void> {
    this.send({ kind: "switchOff" });
  }

  private connect(): void {
    const address = new URL(machinePath, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.wait = retry.first;
      this.wasOpen = true;
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      const message = decodeFromHost(data);
      if (message.kind === "state") {
        this.state = message.state;
        if (message.state === "off") this.isOver = true;
      }
      this.receive(message);
    };
    socket.onclose = () => this.closed();
  }

  private closed(): void {
    this.socket = undefined;
    if (this.isOver) return;
    if (this.state !== "starting" || !this.wasOpen) {
      this.receive({ kind: "warning", message: "No connection to the machine's process: trying again. If it has ended, start the command anew." });
    }
    this.state = "starting";
    this.receive({ kind: "state", state: "starting", hasDisplay: document.body.dataset["display"] === "yes" });
    setTimeout(() => this.connect(), this.wait);
    this.wait = Math.min(retry.longest, this.wait * 2);
  }

  /** Brings a file to the process. XMLHttpRequest tells how far it is; fetch does not in all browsers. */
  private upload(file: File): Promise<{ kind: "upload"; name: string; id: string } | undefined> {
    const { name, size } = file;
    const progress = (received: number, problem?: string): void =>
      this.receive({ kind: "download", name, received, size, isWhole: true, ...(problem === undefined ? {} : { problem }) });
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      const failed = (why: string): void => {
        progress(size);
        this.receive({ kind: "error", message: `${name} did not reach the machine's process: ${why}` });
        resolve(undefined);
      };
      request.open("POST", new URL(`${mediaPath}?name=${encodeURIComponent(name)}`, location.href));
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.onprogress = ({ loaded }) => progress(Math.min(loaded, size));
      request.onerror = () => failed("the connection was lost");
      request.onload = () => {
        if (request.status !== 201) return failed(request.responseText.trim() || String(request.status));
        progress(size);
        resolve({ kind: "upload", name, id: request.responseText.trim() });
      };
      progress(0);
      request.send(file);
    });
  }
}
