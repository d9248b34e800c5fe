/** A server at an address, or words for why not. */
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Address {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  /** What people call the two on the command line. */
  readonly options?: { readonly host: string; readonly port: string };
}

export interface ListeningServer {
  /** Of its root, with a name for this machine where it listens to that. */
  readonly url: string;
  /** It listens at all addresses of the machine. */
  readonly isEverywhere: boolean;
  close(): Promise<void>;
}

/** The address cannot be listened at; the message says what to do. */
export class ServeError extends Error {
  override readonly name = "ServeError";
}

/** Errors: `ServeError`. */
export async function listen(server: Server, { host, port, options = { host: "--host", port: "--port" } }: Address): Promise<ListeningServer> {
  await new Promise<void>((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why: Record<string, string> = {
        EADDRINUSE: `port ${port} of ${host} is taken: choose another with ${options.port}, or end the program that has it`,
        EACCES: `port ${port} of ${host} is not for this user: choose one from 1024 up with ${options.port}`,
        EADDRNOTAVAIL: `${host} is no address of this machine: ${options.host} 127.0.0.1 is, and ${options.host} 0.0.0.0 stands for all of them`,
        ENOTFOUND: `${host} is no address: ${options.host} 127.0.0.1 is this machine`,
      };
      reject(new ServeError(why[error.code ?? ""] ?? error.message));
    });
    server.listen(port, host);
  });
  const address = server.address() as AddressInfo;
  const name = address.family === "IPv6" ? `[${address.address}]` : address.address;
  const isEverywhere = address.address === "0.0.0.0" || address.address === "::";
  return {
    url: `http://${isEverywhere || address.address === "127.0.0.1" ? "localhost" : name}:${address.port}/`,
    isEverywhere,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
