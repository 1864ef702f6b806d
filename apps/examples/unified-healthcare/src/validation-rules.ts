import type { ValidationRule } from "@db/validate";

/** What must hold for the clinic. Those that a deliberate fault breaks have the fault's id. */
export const healthcareValidationRules: readonly ValidationRule[] = [
  {
    id: "record-of-another-patient",
    kind: "custom-sql",
    table: "MedicalRecord",
    severity: "critical",
    sql: `select r."id"
  from "MedicalRecord" r
  join "Appointment" a on a."id" = r."appointmentId"
 where a."patientId" <> r."patientId"`,
    keys: ["id"],
    description: "a record is filed under the patient of its appointment",
    hint: "Correct the patient at once, and tell both.",
  },
  {
    id: "double-booking",
    kind: "unique",
    table: "Appointment",
    columns: ["clinicianId", "startsAt"],
    description: "a clinician has one appointment at a time",
  },
  {
    id: "malformed-phone",
    kind: "pattern",
    table: "Patient",
    column: "phone",
    pattern: "^\\+254[0-9]{9}$",
    description: "a patient can be telephoned",
  },
  {
    id: "record-before-birth",
    kind: "custom-sql",
    table: "Patient",
    sql: `select p."id"
  from "Patient" p
 where exists (select from "Appointment" a where a."patientId" = p."id" and a."startsAt" < p."birthDate")`,
    keys: ["id"],
    description: "nobody is seen before being born",
    hint: "Ask for the birth certificate.",
  },
  {
    id: "impossible-heart-rate",
    kind: "expression",
    table: "MedicalRecord",
    expression: `("vitals" ->> 'heartRate')::int between 20 and 300`,
    columns: ["vitals"],
    dimension: "validity",
    description: "a heart rate is one a heart can have",
  },
  { id: "region-known", kind: "pattern", table: "Patient", column: "region", pattern: "^[A-Z]" },
];
