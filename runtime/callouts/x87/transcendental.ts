import type { X87Host } from "./host.ts";

export const transcendentalImplementations = {
  f2xm1(_c: X87Host, _i: number): void {},
  fyl2x(_c: X87Host, _i: number): void {},
  fyl2xp1(_c: X87Host, _i: number): void {},
  fptan(_c: X87Host, _i: number): void {},
  fpatan(_c: X87Host, _i: number): void {},
  fsin(_c: X87Host, _i: number): void {},
  fcos(_c: X87Host, _i: number): void {},
  fsincos(_c: X87Host, _i: number): void {},
};
