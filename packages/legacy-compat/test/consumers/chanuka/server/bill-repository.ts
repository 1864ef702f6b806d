import { pgTable, serial, text } from "drizzle-orm/pg-core";
import { databaseService } from "./infrastructure/database/database-service.ts";
import { readDb, writeDb } from "../shared/database/index.ts";

export const bills = pgTable("bills", { id: serial().primaryKey(), title: text().notNull(), status: text().notNull() });

export type Bill = typeof bills.$inferSelect;

export class DrizzleBillRepository {
  private readonly db = readDb;

  async fetchBills(): Promise<Bill[]> {
    const result = await databaseService.executeQuery(
      () => this.db.select().from(bills).orderBy(bills.id),
      "fetch-bills",
    );
    if (result.success) return result.data;
    throw result.error;
  }

  async addBill(title: string): Promise<boolean> {
    const result = await databaseService.executeQuery(
      () => writeDb.insert(bills).values({ title, status: "drafted" }),
      "add-bill",
    );
    return result.success;
  }
}
