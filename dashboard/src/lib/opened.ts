/**
 * What a form was opened with. It stays as it was read, however often the page is: so the version that is sent is the one
 * that was seen, and nothing typed is lost because somebody else changed something. Pure.
 */
export class Opened<Thing> {
  private id = '';
  private kept: Thing | undefined;

  /** The thing of that id as it was when this id was first asked for; '' closes. */
  of(id: string, find: () => Thing | undefined): Thing | undefined {
    if (id !== this.id || this.kept === undefined) {
      this.id = id;
      this.kept = id ? find() : undefined;
    }
    return this.kept;
  }

  /** Before it is read anew. */
  forget(): void {
    this.id = '';
    this.kept = undefined;
  }
}
