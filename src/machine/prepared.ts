/**
 * Handlers made beforehand (translator/prepared): nothing where the program runs from its source. A build has a generated module in the place of this one
 * (src/prepare/generate.ts).
 */

/** `PreparedData`'s bytes, packed (unpack.ts), in base64; and how many they are. */
export const prepared: { readonly text: string; readonly size: number } | undefined = undefined;
