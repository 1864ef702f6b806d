declare module "pg-cursor" {
  import type { Connection, Submittable } from "pg";

  /** pg's cursor, as far as this package uses it. */
  export default class Cursor<Row = unknown> implements Submittable {
    constructor(text: string, values?: unknown[]);
    submit(connection: Connection): void;
    read(rows: number): Promise<Row[]>;
    close(): Promise<void>;
  }
}
