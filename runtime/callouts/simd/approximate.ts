/**
 * RCPSS, RCPPS, RSQRTSS and RSQRTPS. The SDM asks only for a relative error of at most 1.5 * 2^-12 and leaves the bits to the
 * implementation. These are the values of AMD's Zen cores, found by measuring every input: a bipartite table (Das Sarma and Matula, "Faithful
 * bipartite ROM reciprocal tables", ARITH-12). The top twelve fraction bits of the operand, in groups of four x1 x2 x3, select
 * coarse[x1 x2] - fine[x1 x3], the twelve fraction bits of a result in [1/2, 1). Denormals count as zeros, denormal results become
 * zeros, and MXCSR plays no part.
 */
import type { Cpu } from "../../cpu/cpu.ts";

interface BipartiteTable {
  readonly coarse: Uint16Array;
  readonly fine: Uint8Array;
}

/** @param coarse 256 numbers of three hexadecimal digits. @param fine 256 of two. */
function table(coarse: string, fine: string): BipartiteTable {
  const number = (text: string, digits: number) => (_: unknown, i: number) => Number.parseInt(text.slice(i * digits, (i + 1) * digits), 16);
  return { coarse: Uint16Array.from({ length: 256 }, number(coarse, 3)), fine: Uint8Array.from({ length: 256 }, number(fine, 2)) };
}

const reciprocal = table(
  "ffefdefbff9ff81f62f43f25f07ee9ecbeaee91e74e57e3ae1ce00de4dc9dadd92d77d5cd41d26d0ccf2cd8cbeca4c8bc70c57c3ec25c0dbf4bdcbc4bacb94b7" +
    "db65b4eb37b20b09af1adbac4aaea98a82a6ca56a41a2ba16a019ec9d79c29ae99898497095c94893492090d8f98e68d28bf8ac89988687486184f83c82a8188" +
    "067f47e27d07bf7ad79c78a7797687577457347247137026f26e26d16c16b16a16916816726626526426336236146055f65e75d85c95ba5ac59d58f580572563" +
    "55554753852a51d50f5014f34e64d84ca4bd4b04a249548847a46d46045344743a42d4204144073fb3ee3e23d63c93bd3b13a539938d38137536935e35234633" +
    "b32f32431830d3022f62eb2e02d52ca2bf2b42a929e29328827e27326925e25324823e23422921f21520b2011f61ec1e21d81cf1c51bb1b11a719e19418a1811" +
    "7716e16415b15114813f13612c12311a1101070fe0f50ec0e30db0d20c90c00b70af0a609d09508c08407b07306a06205a051049041039030028020018010008",
  "0002030507090b0d0f11121416181a1c0001030506080a0b0d0f101214151719000103040507080a0b0d0e101113141600010204050608090a0c0d0e10111214" +
    "0001020304060708090b0c0d0e0f11120001020405060708090a0b0c0e0f1011000102030405060708090a0b0c0d0e0f00010203040505060708090a0b0c0d0e" +
    "0001020203040506070808090a0b0c0d000101020304050506070809090a0b0c000102020304040506070708090a0a0b0001010203030405050607070809090a" +
    "00000102020303040505060707080809000001020203030405050606070808090000010102020303040505060607070800000101020203040405050606070708",
);
const rootEven = table(
  "ffffeffdffd0fc0fb0fa1f92f82f73f64f55f46f37f28f1af0befceeeedfed1ec3eb5ea7e99e8be7de6fe61e54e46e39e2be1ee10e03df6de9ddcdcfdc2db5da" +
    "9d9cd8fd83d76d6ad5dd51d44d38d2cd20d14d08cfccf0ce5cd9ccdcc2cb6cabc9ec93c88c7cc71c66c5bc50c45c3ac2fc24c19c0ec04bf9beebe4bd9bcfbc4b" +
    "babafba5b9bb91b86b7cb72b68b5eb54b4ab40b36b2cb22b19b0fb05afcaf2ae9adfad6accac3abaab0aa7a9ea94a8ba82a79a70a67a5ea55a4ca43a3ba32a29" +
    "a21a18a0fa079fe9f69ed9e59dc9d49cb9c39bb9b29aa9a299999198998197997196996195995194994193993292a92291a91290b9038fb8f48ec8e58dd8d68c" +
    "e8c78bf8b88b18a98a289b89488d88587e87787086986285b85484d84683f83883082982281c81580e8078007fa7f37ec7e67df7d87d27cb7c57be7b87b17ab7" +
    "a479e79779178b78477e77877176b76575e75875274c74674073a73372d72772171b71570f7097036fd6f76f16eb6e56e06da6d46ce6c86c36bd6b76b16ac6a6",
  "00010203040506070708090a0b0c0d0e00010203030405060708090a0a0b0c0d0001020203040506060708090a0b0b0c000102020304040506070708090a0a0b" +
    "0000010202030405050607070809090a0001010203030405050606070808090a0000010202030304040506060708080900000101020203040405050606070808" +
    "00010102020303040405050606070708000001010202030304040505060607070000010102020303030404050506060700010102020203030404050506060607" +
    "00000101010202030303040405050606000001010202020303040404050505060000010101020203030304040505050600000001010102020303030404040505",
);
const rootOdd = table(
  "6a069568a67e67366965e65364863d63362861d6136085fe5f35e95df5d45ca5c05b65ac5a259958f58557b57256855f55554b54253952f52651d51450b5024f" +
    "94f04e74de4d54cc4c34bb4b24a94a149849048747f47746e46645e45544d44543d43542d42541d41540d4053fd3f53ee3e63de3d73cf3c83c03b93b13aa3a23" +
    "9b39438c38537e37736f36836135a35334c34533e33733032932231b31530e3073002fa2f32ec2e62df2d92d22cc2c52bf2b82b22ac2a529f29929228c286280" +
    "27927326d26726125b25524f24924323d23723122b22522021a21420e2092031fd1f71f21ec1e71e11db1d61d01cb1c51c01bb1b51b01aa1a51a019a19519018" +
    "a18518017b17617016b16616115c15715214d14814313e13913412f12a12512011a11611110c1071020fd0f90f40ef0ea0e60e10dc0d80d30ce0ca0c50c10bc0" +
    "b70b30ae0aa0a50a109c09809308f08b08608207d07907507006c06806305f05b05705204e04a04604103d03903503102d02902402001c01801401000c008004",
  "0001010203030405050607070809090a000001020203030405050607070809090000010202030304040506060707080800000102020303040405050606070708" +
    "00000101020203030404050506060707000101010202030304040505060606070000010102020203030404050505060600000101020202030304040405050606" +
    "00000001010202020303030404050505000001010102020203030304040405050000010101020202030303040404050500010101020202030303040404040505" +
    "00000001010102020202030303040404000000010101020202020303030404040000010101010202020203030303040400000101010102020202030303030404",
);

/** Fraction bits, in place, for operand fraction `m` (23 bits). */
function look(t: BipartiteTable, m: number): number {
  const index = m >>> 11;
  return (t.coarse[index >>> 4] - t.fine[((index >>> 4) & 0xf0) | (index & 15)]) << 11;
}

const infinity = 0x7f800000;
const quietBit = 0x00400000;

/** 1/x, as bits of singles. */
function approximateReciprocal(x: number): number {
  const sign = x & (1 << 31);
  const exponent = (x >>> 23) & 0xff;
  if (exponent === 0) return sign | infinity;
  if (exponent === 0xff) return (x & 0x7fffff) !== 0 ? x | quietBit : sign;
  // 1/x has exponent -1 - e, biased 253 - exponent; 0 and below would be denormal.
  return exponent >= 253 ? sign : sign | ((253 - exponent) << 23) | look(reciprocal, x & 0x7fffff);
}

/** 1/sqrt(x). */
function approximateRoot(x: number): number {
  const sign = x & (1 << 31);
  const exponent = (x >>> 23) & 0xff;
  if (exponent === 0) return sign | infinity;
  if (exponent === 0xff && (x & 0x7fffff) !== 0) return x | quietBit;
  if (sign !== 0) return 0xffc00000 | 0;
  if (exponent === 0xff) return 0;
  // An odd power of two goes under the root: 2 * 1.m.
  const odd = (exponent & 1) === 0;
  const half = (exponent - (odd ? 128 : 127)) >> 1;
  return ((126 - half) << 23) | look(odd ? rootOdd : rootEven, x & 0x7fffff);
}

type Approximation = (x: number) => number;

function scalar(f: Approximation) {
  return (cpu: Cpu, target: number, source: number): void => {
    cpu.R[target] = f(cpu.R[source]);
  };
}
function packed(f: Approximation) {
  return (cpu: Cpu, target: number, source: number): void => {
    const R = cpu.R;
    for (let k = 0; k < 4; k++) R[target + k] = f(R[source + k]);
  };
}

export const approximateImplementations = {
  rcpss: scalar(approximateReciprocal),
  rcpps: packed(approximateReciprocal),
  rsqrtss: scalar(approximateRoot),
  rsqrtps: packed(approximateRoot),
};
