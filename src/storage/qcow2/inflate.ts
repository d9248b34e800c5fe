import { inflateSync } from "fflate";

/**
 * A cluster compressed by raw deflate. What follows the stream's end in its last sector is ignored: it belongs to the next cluster (which is also why
 * DecompressionStream, for which that is an error, cannot be used). Undefined where it does not give exactly one cluster.
 */
export function inflateCluster(compressed: Uint8Array, clusterSize: number): Uint8Array | undefined {
  try {
    const cluster = inflateSync(compressed, { out: new Uint8Array(clusterSize) });
    return cluster.length === clusterSize ? cluster : undefined;
  } catch {
    return undefined;
  }
}
