/**
 * Who may talk to a machine over HTTP. The address that is printed has a random token in its path, so that other users and other programs of this computer stay out. A page
 * elsewhere on the web could still make a browser send requests here: the Host header tells a name that was rebound to this computer (DNS rebinding), and the Origin header
 * a page that is not this one (cross-site WebSocket hijacking, cross-site request forgery).
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";

const tokenBytes = 16;
const ownNames: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

export interface AccessOptions {
  /** As it was given on the command line. */
  readonly host: string;
  /** The server listens at all addresses: whoever knows one of them may come, and this computer's name is as good. */
  readonly isEverywhere: boolean;
}

export class Access {
  readonly token = randomBytes(tokenBytes).toString("base64url");
  private readonly names: ReadonlySet<string>;
  private readonly isEverywhere: boolean;

  constructor({ host, isEverywhere }: AccessOptions) {
    const given = isIP(host) === 6 ? `[${host}]` : host.toLowerCase();
    this.names = new Set([...ownNames, given, ...(isEverywhere ? [hostname().toLowerCase()] : [])]);
    this.isEverywhere = isEverywhere;
  }

  /** What follows the token in a request's path, beginning with a slash; undefined for a request that has no token. */
  within(url: string | undefined): string | undefined {
    const match = /^\/([^/?#]+)(\/.*)$/.exec(url ?? "");
    return match && isEqual(match[1]!, this.token) ? match[2] : undefined;
  }

  /** The request was sent to a name that only this computer has. */
  isForUs(request: IncomingMessage): boolean {
    const host = hostOf(request);
    if (host === undefined) return false;
    const name = new URL(`http://${host}`).hostname;
    // A name can be rebound, an address cannot.
    return this.names.has(name) || (this.isEverywhere && isIP(name.replace(/^\[|\]$/g, "")) !== 0);
  }

  /** The page that sent the request is ours. Browsers say so for every WebSocket and every POST. */
  isFromUs(request: IncomingMessage): boolean {
    const { origin } = request.headers;
    const host = hostOf(request);
    return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
  }
}

/** The Host header, if it is a plain host and port. */
export function hostOf({ headers }: IncomingMessage): string | undefined {
  const host = headers.host?.toLowerCase();
  return host !== undefined && /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/.test(host) && URL.canParse(`http://${host}`) ? host : undefined;
}

/** In the same time wherever they differ. */
function isEqual(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}
