/**
 * What a drive keeps its sectors in: the contract between disk controllers (runtime/devices) and image formats (src/storage). Offsets and lengths are bytes
 * and multiples of 512. A method that can answer at once returns nothing; one that must wait for the host returns a promise, and the controller raises its
 * interrupt when that is settled. A rejected promise, or a throw, is a medium error: the controller reports it to the guest as the drive would.
 */
export interface BlockStorage {
  /** Capacity in bytes, a multiple of 512. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Fills `into` from `offset`. */
  read(offset: number, into: Uint8Array): void | Promise<void>;
  /** `from` may be reused by the caller once the call has settled. */
  write(offset: number, from: Uint8Array): void | Promise<void>;
  /** When it settles, everything written before is on stable storage. */
  flush(): void | Promise<void>;
}

/** Guest-physical memory as a bus master sees it. Writes drop translated code that they hit. */
export interface BusMemory {
  /** Fills `into` from guest-physical `address`; what nothing answers for reads as FFh. */
  readInto(address: number, into: Uint8Array): void;
  writeBytes(address: number, bytes: Uint8Array): void;
}
