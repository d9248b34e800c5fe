/**
 * V8's worker threads, of which Node has four unless told otherwise when it begins. On two cores they and the thread that makes regions take the guest's core from it: with one worker
 * programs that begin and Linux boots take about 7 % less time, up to 11 (docs/PERFORMANCE.md). So the command begins anew with that option, in the same process.
 */
import { availableParallelism } from "node:os";

const option = "--v8-pool-size";

export interface NodeStart {
  readonly cores: number;
  /** Node's own arguments, and those from its environment variable. */
  readonly execArgv: readonly string[];
  readonly nodeOptions: string;
  /** The script and its arguments. */
  readonly argv: readonly string[];
}

/** Node's arguments for beginning anew; undefined: it is not to, for there are more or fewer cores than two, or somebody has said how many threads there are to be. */
export function argumentsToBeginAnew({ cores, execArgv, nodeOptions, argv }: NodeStart): string[] | undefined {
  const isSaid = execArgv.some((argument) => argument.startsWith(option)) || nodeOptions.includes(option);
  return cores !== 2 || isSaid ? undefined : [`${option}=1`, ...execArgv, ...argv];
}

/** Does not return where it begins anew. Takes 30 ms: not for what is over in an instant. Before anything is read from stdin. */
export function settleWorkerThreads(): void {
  const { execPath, execArgv, argv, env, connected } = process;
  // Node 22.15 and newer, not on Windows.
  const execve = process.execve as typeof process.execve | undefined;
  const anew = argumentsToBeginAnew({ cores: availableParallelism(), execArgv, nodeOptions: env.NODE_OPTIONS ?? "", argv: argv.slice(1) });
  // What a parent has to say on Node's own channel would be lost.
  if (anew !== undefined && execve !== undefined && process.platform !== "win32" && !connected)
    execve.call(process, execPath, [execPath, ...anew], env);
}
