import { readFile } from "node:fs/promises";
import type { Config } from "@db/config";
import { type Database, DbError, type Metrics, noMetrics, type OnProgress } from "@db/core";
import {
  runValidation,
  type SuggestionReport,
  suggestRules,
  type ValidationReport,
  type ValidationRule,
} from "@db/validate";
import type { Application } from "./application.ts";
import type { AuditTrail } from "./audit.ts";

/** A file of rules that cannot be read. */
export class RulesFileError extends DbError {
  override readonly code = "ORCHESTRATOR_RULES_FILE";
}

export interface ValidationCall {
  /** JSON file of rules, instead of the application's or the configured one. */
  readonly rulesFile?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Data validation with the application's rules. Reads only. */
export interface ValidationService {
  rules(call?: ValidationCall): Promise<readonly ValidationRule[]>;
  run(call?: ValidationCall): Promise<ValidationReport>;
  suggest(call?: ValidationCall): Promise<SuggestionReport>;
}

export function createValidationService(options: {
  readonly db: Database;
  readonly config: Config;
  readonly application: Application | undefined;
  readonly audit: AuditTrail;
  readonly metrics?: Metrics;
}): ValidationService {
  const { db, config, application, audit, metrics = noMetrics } = options;
  const service: ValidationService = {
    rules: async (call = {}) => {
      const file = call.rulesFile ?? config.validate.rulesFile;
      return file === undefined ? (application?.validationRules ?? []) : readRules(file);
    },
    run: async (call = {}) => {
      const rules = await service.rules(call);
      return audit.run(
        "validation.run",
        () => runValidation(db, rules, { ...jobOptions(call), metrics }),
        ({ score, counts }) => ({ score, rules: rules.length, failed: counts.failed }),
      );
    },
    suggest: async (call = {}) => {
      const report = await suggestRules(db, jobOptions(call));
      // The toolkit's own history is no data of theirs.
      const own = `${config.migrate.schema}.`;
      return { ...report, suggestions: report.suggestions.filter(({ rule }) => !rule.table.startsWith(own)) };
    },
  };
  return service;
}

function jobOptions(call: ValidationCall): { onProgress?: OnProgress; signal?: AbortSignal } {
  return {
    ...(call.onProgress === undefined ? {} : { onProgress: call.onProgress }),
    ...(call.signal === undefined ? {} : { signal: call.signal }),
  };
}

// The rules themselves are checked by runValidation, all problems at once; here only that there are some.
async function readRules(file: string): Promise<readonly ValidationRule[]> {
  const hint = "Name a JSON file that holds an array of rules.";
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    if (Array.isArray(value)) return value as ValidationRule[];
  } catch (cause) {
    throw new RulesFileError(`rules file ${file} cannot be read`, { cause, hint });
  }
  throw new RulesFileError(`rules file ${file} holds no array`, { hint });
}
