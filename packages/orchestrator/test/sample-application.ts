import { fileURLToPath } from "node:url";
import { Client } from "pg";
import { defineApplication } from "../src/index.ts";

/** A small shop: one table, one rule that is broken, one index that helps. */
export const sampleApplication = defineApplication({
  name: "shop",
  title: "Shop",
  migrationsDirectory: fileURLToPath(new URL("migrations", import.meta.url)),
  validationRules: [{ kind: "range", table: "orders", column: "amount", min: 0 }],
  indexPack: {
    name: "shop",
    indexes: [
      { name: "orders_customer_idx", table: "orders", keys: [{ column: "customer" }], why: "A customer's orders." },
    ],
  },
  demonstrationQueries: [
    {
      name: "orders of a customer",
      sql: "select count(*) from orders where customer = $1",
      values: [7],
      why: "The account page.",
    },
  ],
  async seed({ url }) {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      const { rows } = await client.query<{ count: number }>("select count(*)::int as count from orders");
      const skipped = rows[0]!.count > 0;
      if (!skipped) {
        await client.query(
          "insert into orders (customer, amount) select i % 5000, case when i = 1 then -1 else i % 90 end from generate_series(1, 50000) i",
        );
        await client.query("analyze orders");
      }
      return { rows: { orders: 50_000 }, durationMs: 0, skipped };
    } finally {
      await client.end();
    }
  },
});
