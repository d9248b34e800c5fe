/** The script of a browser's worker that makes regions (`xlat86/region-worker`). */
import { serveRegions, type WorkerScope } from "./web-service.ts";

// To whoever began this worker, as an error of it: a promise that is rejected would tell nobody there.
serveRegions(globalThis as unknown as WorkerScope, (error) => reportError(error));
