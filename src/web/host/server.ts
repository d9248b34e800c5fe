/** Serves one folder to whoever asks: what `npm run web` has built. */
import { realpath } from "node:fs/promises";
import { createServer } from "node:http";
import { answerWithFile, refuse } from "./files.ts";
import { type Address, type ListeningServer, listen } from "./listen.ts";
import { pagePolicy, workerPolicies } from "./policy.ts";

export { ServeError } from "./listen.ts";

export interface ServeOptions extends Address {
  readonly folder: string;
}

export type RunningServer = Pick<ListeningServer, "url" | "close">;

/** Errors: `ServeError`. */
export async function serve({ folder, ...address }: ServeOptions): Promise<RunningServer> {
  const root = await realpath(folder);
  const server = createServer((request, response) => {
    const policy = (path: string): string => workerPolicies.get(path) ?? pagePolicy;
    answerWithFile({ root, request, response, url: request.url ?? "/", policy }).catch(() => {
      if (!response.headersSent) refuse(response, 500, "the server could not read the file");
      else response.destroy();
    });
  });
  return listen(server, address);
}
