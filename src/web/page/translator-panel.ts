/** What the translator does, live: figures, where the guest spends its time, and one place as guest code beside the JavaScript made of it. */
import type { HotPlace, InspectedPlace, SpeedReport } from "../protocol.ts";
import { byId, describeBytes, make } from "./dom.ts";
import { colourJavaScript } from "./javascript-colours.ts";

const historyLength = 60;
/** The code on view follows the guest at most this often, and only to a place with this share of the instructions. */
const followMilliseconds = 4000;
const worthFollowing = 0.04;
/** Colouring more takes longer than it helps. */
const longestColoured = 200_000;

const hex = (address: number): string => (address >>> 0).toString(16).padStart(8, "0");
const percent = (share: number): string => `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
const count = (value: number): string => Math.round(value).toLocaleString("en-US");

export function millions(perSecond: number): string {
  const value = perSecond / 1e6;
  return value.toFixed(value < 9.95 ? 1 : 0);
}

export class TranslatorPanel {
  private readonly inspect: (address: number) => void;
  private readonly history: number[] = [];
  private readonly figures = new Map<string, HTMLElement>();
  private readonly spark: SVGPolylineElement;
  private selected: number | undefined;
  /** The person chose: until something else is switched on, the page chooses no more. */
  private isChosen = false;
  private selectedAt = 0;
  private following: ReturnType<typeof setTimeout> | undefined;
  private chosenCode = 0;

  constructor(inspect: (address: number) => void) {
    this.inspect = inspect;
    const names: readonly (readonly [name: string, label: string, title: string])[] = [
      ["speed", "million instructions a second", "Guest instructions; 0 while the guest is halted"],
      ["tierZero", "run by tier 0", "The rest runs as JavaScript made for it (regions). Of the last moment; in brackets of the whole run"],
      [
        "regions",
        "regions",
        "Pieces of guest code that are functions of the host's now; in brackets how many were made, and how many of them by a second worker, beside the guest",
      ],
      ["text", "of JavaScript", "Text of the regions in place"],
      ["translation", "translating", "Host time spent making regions, with the browser's parsing, and its share of the whole run"],
      ["blocks", "blocks decoded", "Basic blocks prepared for tier 0; in brackets how many were dropped because their bytes were written"],
      ["instructions", "instructions", "Guest instructions since power-on"],
    ];
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 ${historyLength - 1} 20`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    this.spark = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    svg.append(this.spark);
    for (const [name, label, title] of names) {
      const value = make("dd", {}, "–");
      this.figures.set(name, value);
      const figure = make("div", { title }, make("dt", {}, label), value);
      if (name === "speed") figure.append(svg);
      byId("figures").append(figure);
    }
  }

  reset(): void {
    this.history.length = 0;
    this.selected = undefined;
    this.isChosen = false;
    clearTimeout(this.following);
    byId("hot").replaceChildren();
    byId("exits").replaceChildren();
    byId("code-card").hidden = true;
    byId("hot-empty").hidden = false;
  }

  showSpeed(report: SpeedReport): void {
    const set = (name: string, text: string, more = ""): void => {
      this.figures.get(name)!.replaceChildren(text, ...(more === "" ? [] : [make("small", {}, ` ${more}`)]));
    };
    set("speed", millions(report.perSecond));
    set("tierZero", percent(report.tierZeroShare), `(${percent(report.tierZeroShareOfAll)})`);
    const beside = report.backgroundRegions > 0 ? `, ${count(report.backgroundRegions)} beside` : "";
    set("regions", count(report.regionsLive), `(${count(report.regions)}${beside})`);
    set("text", describeBytes(report.regionTextLength));
    set("translation", `${report.regionSeconds.toFixed(2)} s`, `(${percent(report.regionShare)})`);
    set("blocks", count(report.blocks), `(${count(report.invalidations)})`);
    set("instructions", report.instructions < 1e6 ? count(report.instructions) : `${count(report.instructions / 1e6)} M`);

    this.history.push(report.perSecond);
    if (this.history.length > historyLength) this.history.shift();
    const top = Math.max(...this.history, 1);
    const first = historyLength - this.history.length;
    this.spark.setAttribute("points", this.history.map((value, k) => `${first + k},${(19 - (18 * value) / top).toFixed(1)}`).join(" "));

    byId("exits").replaceChildren(
      ...report.exits.map(({ reason, perSecond, total }) =>
        make(
          "tr",
          {},
          make("td", { title: reason }, reason),
          make("td", {}, perSecond >= 0.5 ? count(perSecond) : "–"),
          make("td", {}, count(total)),
        ),
      ),
    );
  }

  showHot(places: readonly HotPlace[]): void {
    // While the guest is idle, what ran last stays.
    if (places.length === 0) return;
    byId("hot-empty").hidden = true;
    const largest = Math.max(...places.map(({ share }) => share));
    const rows = places.map(({ address, share, tier, text }) => {
      const button = make("button", { type: "button", className: "link", title: "Show its code" }, hex(address));
      button.addEventListener("click", () => {
        this.isChosen = true;
        clearTimeout(this.following);
        this.select(address);
        byId("code-card").scrollIntoView({ block: "nearest", behavior: "smooth" });
      });
      const bar = make("span", { className: "bar-share" });
      bar.style.setProperty("--share", String(share / largest));
      return make(
        "tr",
        { dataset: { address: String(address) }, className: address === this.selected ? "selected" : "" },
        make("td", {}, button),
        make("td", { className: "code" }, text),
        make("td", {}, make("span", { className: `tier ${tier === "region" ? "region" : "cold"}` }, tier === "region" ? "JavaScript" : "tier 0")),
        make("td", { className: "number" }, bar, percent(share)),
      );
    });
    const body = byId("hot");
    const focused = body.contains(document.activeElement) ? document.activeElement?.closest("tr")?.dataset["address"] : undefined;
    body.replaceChildren(...rows);
    if (focused !== undefined) body.querySelector<HTMLElement>(`[data-address="${focused}"] button`)?.focus({ preventScroll: true });
    this.follow(places);
  }

  /** Shows what is hottest now, but not so often that nobody can read it. */
  private follow(places: readonly HotPlace[]): void {
    const best = places.find(({ tier }) => tier === "region") ?? places[0]!;
    if (this.isChosen || best.address === this.selected || (this.selected !== undefined && best.share < worthFollowing)) return;
    clearTimeout(this.following);
    const rest = this.selected === undefined ? 0 : this.selectedAt + followMilliseconds - performance.now();
    if (rest <= 0) this.select(best.address);
    else this.following = setTimeout(() => this.select(best.address), rest);
  }

  showInspected(place: InspectedPlace): void {
    byId("code-card").hidden = false;
    byId("inspected-title").textContent = `Code at ${hex(place.address)}`;
    byId("inspected-heading").textContent = place.heading;
    const lines = place.listing.map(({ address, bytes, text, exit, isFirst }) =>
      make(
        "span",
        { className: `line${isFirst ? " first" : ""}${exit === undefined ? "" : " exit"}`, title: exit ?? "" },
        make("span", { className: "address" }, hex(address)),
        make("span", { className: "bytes" }, bytes),
        make("span", {}, text),
      ),
    );
    byId("listing").replaceChildren(...lines);
    const tabs = place.code.map(({ title }, k) => {
      const tab = make("button", { type: "button", className: "quiet", title }, k === 0 && place.code.length > 1 ? "region" : "tier 0");
      tab.addEventListener("click", () => {
        this.chosenCode = k;
        this.showCode(place);
      });
      return tab;
    });
    byId("code-tabs").replaceChildren(...tabs);
    if (this.chosenCode >= place.code.length) this.chosenCode = 0;
    this.showCode(place);
  }

  private select(address: number): void {
    this.selected = address;
    this.selectedAt = performance.now();
    this.chosenCode = 0;
    for (const row of byId("hot").querySelectorAll("tr")) row.classList.toggle("selected", row.dataset["address"] === String(address));
    this.inspect(address);
  }

  private showCode(place: InspectedPlace): void {
    const code = place.code[this.chosenCode];
    if (!code) return;
    byId("code-title").textContent = code.title;
    byId("code").replaceChildren(code.text.length > longestColoured ? code.text : colourJavaScript(code.text));
    byId("code").scrollTop = 0;
    [...byId("code-tabs").children].forEach((tab, k) => {
      tab.ariaPressed = String(k === this.chosenCode);
    });
  }
}
