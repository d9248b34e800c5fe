/** What a browser's worker that makes regions does with the messages that it gets. */
import type { RegionJob } from "../../../runtime/code/region-thread.ts";
import { hostTurn } from "../host.ts";
import { mostTogether, RegionMaker } from "./region-maker.ts";
import type { FromRegionWorker, ToRegionWorker } from "./web-messages.ts";

/** Of DedicatedWorkerGlobalScope, or of a port. */
export interface WorkerScope {
  postMessage(message: FromRegionWorker): void;
  onmessage: ((event: { readonly data: ToRegionWorker }) => void) | null;
}

/** @param failed told of an error, after which nothing more is done */
export function serveRegions(scope: WorkerScope, failed: (error: unknown) => void): void {
  let maker: RegionMaker | undefined;
  const jobs: RegionJob[] = [];
  let isBusy = false;
  const work = async (): Promise<void> => {
    isBusy = true;
    // What has come meanwhile is heard first: more to be done together, and what is not to be done any more.
    for (await hostTurn(); jobs.length > 0; await hostTurn()) {
      const answers = maker?.make(jobs.splice(0, mostTogether));
      if (answers !== undefined) scope.postMessage({ kind: "answers", answers });
    }
    isBusy = false;
  };
  scope.onmessage = ({ data }) => {
    switch (data.kind) {
      case "begin":
        maker = new RegionMaker(data.options);
        return scope.postMessage({ kind: "ready" });
      case "job":
        jobs.push(data.job);
        // Once it has failed, it stays busy.
        if (!isBusy) work().catch(failed);
        return;
      case "forget": {
        const at = jobs.findIndex(({ id }) => id === data.id);
        if (at >= 0) jobs.splice(at, 1);
      }
    }
  };
}
