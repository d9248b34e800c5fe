/** Names for the locals of one function: what they are for, and a number. */
export class LocalNames {
  private count = 0;

  next(hint: string): string {
    const name = `${hint}${this.count++}`;
    // That of the vectors' operations.
    return name === "v128" ? this.next(hint) : name;
  }
}
