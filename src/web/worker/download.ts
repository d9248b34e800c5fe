/** A whole file from the network: kernels and firmware, which are needed completely before anything starts. */
import { StorageError } from "../../storage/index.ts";

export interface DownloadProgress {
  readonly received: number;
  /** 0 while it is not known. */
  readonly size: number;
}

/** Errors: `StorageError`. */
export async function download(url: string, onProgress: (progress: DownloadProgress) => void): Promise<Uint8Array> {
  const problem = (found: string, hint: string, cause?: unknown): StorageError =>
    new StorageError({ kind: "unavailable", file: url, expected: "an answer of the server", found, hint, cause });
  try {
    const response = await fetch(url);
    if (!response.ok) throw problem(`${response.status} ${response.statusText}`.trim(), "check the address");
    // What a compressed transfer announces is not what arrives.
    const size = response.headers.get("Content-Encoding") ? 0 : Number(response.headers.get("Content-Length") ?? 0);
    const reader = response.body?.getReader();
    const pieces: Uint8Array[] = [];
    let received = 0;
    for (;;) {
      const piece = await reader?.read();
      if (!piece?.value) break;
      pieces.push(piece.value);
      received += piece.value.length;
      onProgress({ received, size });
    }
    if (size > 0 && received < size) throw problem(`the end of the connection after ${received} of ${size} bytes`, "try again");
    onProgress({ received, size: received });
    const whole = new Uint8Array(received);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  } catch (error) {
    if (error instanceof StorageError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw problem(message, "look whether the network and the server work, and whether the server allows this page to read from it (CORS)", error);
  }
}
