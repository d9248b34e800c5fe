/** What the server has beside the page: firmware, and guests that were fetched before. The page reads it from `assets.json`; addresses are relative to that. */
export interface WebAssets {
  readonly firmware?: { readonly bios: string; readonly vgaBios: string };
  readonly guests: readonly WebGuest[];
}

/** A kernel that can be booted at once. */
export interface WebGuest {
  readonly name: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly append: string;
}

export const assetsFile = "assets.json";
