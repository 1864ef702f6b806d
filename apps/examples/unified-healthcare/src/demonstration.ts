import type { DemonstrationQuery } from "@db/orchestrator";

/** What the clinic asks most; the schema has an index for none of these. */
export const demonstrationQueries: readonly DemonstrationQuery[] = [
  {
    name: "patient file",
    sql: `select "code", "note", "vitals", "recordedAt"
  from "MedicalRecord"
 where "patientId" = $1
 order by "recordedAt" desc
 limit 20`,
    values: ["clp000000000000000000001c"],
    why: "What a clinician sees when a patient walks in.",
  },
  {
    name: "clinician's days",
    sql: `select "startsAt", "status", "reason"
  from "Appointment"
 where "clinicianId" = $1 and "startsAt" >= $2 and "startsAt" < $3
 order by "startsAt"`,
    values: ["clc0000000000000000000005", "2024-03-01", "2024-04-01"],
    why: "The month's calendar.",
  },
];
