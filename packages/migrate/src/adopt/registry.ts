import { dbmate } from "./dbmate.ts";
import { diesel } from "./diesel.ts";
import { drizzle } from "./drizzle.ts";
import { flyway } from "./flyway.ts";
import type { ForeignTool, ForeignToolName } from "./foreign-tool.ts";
import { golangMigrate } from "./golang-migrate.ts";
import { knex } from "./knex.ts";
import { nodePgMigrate } from "./node-pg-migrate.ts";
import { prisma } from "./prisma.ts";
import { sqitch } from "./sqitch.ts";

/** Every tool, the ones that are told apart most surely first. */
export const foreignToolsByName: Readonly<Record<ForeignToolName, ForeignTool>> = {
  drizzle,
  prisma,
  sqitch,
  flyway,
  "golang-migrate": golangMigrate,
  dbmate,
  diesel,
  "node-pg-migrate": nodePgMigrate,
  knex,
};
