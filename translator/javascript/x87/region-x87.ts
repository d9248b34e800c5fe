/** The register stack of one region as its printer meets it: block by block, edge by edge, callout by callout. */
import type { CalloutName } from "../../contract/callouts.ts";
import type { MicroBlock } from "../../ir/block.ts";
import type { RegionPlan } from "../../region/plan.ts";
import type { Expression, Statement } from "../estree.ts";
import * as js from "../estree.ts";
import { X87Flow, x87UseOf } from "./region-flow.ts";
import { type Point, type RegionSite, RegionStack } from "./region-stack.ts";
import type { X87Site } from "./stack.ts";

/** In the place of a block's number: where the state array has everything. */
export const outsideBlocks = -1;

export class RegionX87 {
  /** For the emitters of statements. */
  readonly site: X87Site;
  private readonly flow: X87Flow;
  private readonly stack: RegionStack;
  /** What is known behind each block. */
  private readonly ends = new Map<number, Point | undefined>();
  /** The block being printed, and its callouts so far that may have changed the state; where the latest of them closed it. */
  private printed = 0;
  private changes = 0;
  private closedAt: Point | undefined;

  /**
   * @param successors blocks by number
   * @returns undefined if no x87 instruction is to be done in line
   */
  static of(
    site: RegionSite,
    blocks: readonly MicroBlock[],
    successors: readonly (readonly number[])[],
    plan: RegionPlan,
    inDoubles: boolean,
  ): RegionX87 | undefined {
    const flow = X87Flow.of(blocks, successors, plan, inDoubles);
    return flow && new RegionX87(site, flow, inDoubles);
  }

  private constructor(site: RegionSite, flow: X87Flow, inDoubles: boolean) {
    const stack = new RegionStack(site, inDoubles, flow.all);
    this.flow = flow;
    this.stack = stack;
    this.site = { inDoubles, stack: (emit) => stack.attach(emit) };
  }

  /** Before the first block, where that is also a loop's. */
  atEntry(): Statement[] {
    this.stack.at(undefined);
    return this.edgeTo(0);
  }

  beginBlock(block: number): Statement[] {
    const { flow, stack } = this;
    this.printed = block;
    this.changes = 0;
    const entry = flow.entry(block);
    if (entry !== undefined && flow.opensIn(block)) return stack.reopen(entry);
    stack.at(entry);
    return [];
  }
  endBlock(): void {
    this.ends.set(this.printed, this.stack.point);
  }

  /** What follows is behind a block that was printed. */
  behind(block: number): void {
    this.stack.at(this.ends.get(block));
  }
  edgeTo(block: number): Statement[] {
    const { flow, stack } = this;
    if (block === outsideBlocks) return stack.become(undefined);
    return flow.opensIn(block) ? [] : stack.become(flow.entry(block));
  }

  /** Before the region may be left: what is known statically. */
  mark(): Expression {
    return this.stack.mark();
  }

  beforeCall(callout: CalloutName): Statement[] {
    const { stack } = this;
    const use = x87UseOf(callout, stack.inDoubles);
    if (use === "inLine") return [];
    // It may fault.
    if (use === "none") return [js.expressionStatement(stack.mark())];
    this.closedAt = stack.point;
    return stack.close();
  }
  afterCall(callout: CalloutName): Statement[] {
    const { closedAt, flow, stack } = this;
    if (x87UseOf(callout, stack.inDoubles) !== "any") return [];
    const facts = flow.factsBehind(this.printed, this.changes++);
    return closedAt === undefined || facts === undefined ? [] : stack.reopen({ ...closedAt, facts });
  }

  beforeSegmentChange(): Statement[] {
    return this.stack.beforeSegmentChange();
  }

  /** @param body all that was printed */
  declarations(body: readonly Statement[]): Statement[] {
    return this.stack.declarations(body);
  }
  /** Behind all ways out. */
  epilogue(): Statement[] {
    return this.stack.epilogue();
  }
}
