import type { Fault } from "@db/example-datagen";

export type FaultId =
  | "malformed-phone"
  | "double-booking"
  | "record-of-another-patient"
  | "record-before-birth"
  | "impossible-heart-rate";

/** Every deliberate fault. The numbers hold for every seed. */
export const faults: readonly Fault<FaultId>[] = [
  { id: "malformed-phone", table: "Patient", rows: 24, grows: true, what: "not +254 and nine digits" },
  { id: "double-booking", table: "Appointment", rows: 11, grows: true, what: "a clinician at two places at once" },
  {
    id: "record-of-another-patient",
    table: "MedicalRecord",
    rows: 5,
    grows: true,
    what: "filed under the wrong patient",
  },
  { id: "record-before-birth", table: "Patient", rows: 4, grows: true, what: "born after the first appointment" },
  { id: "impossible-heart-rate", table: "MedicalRecord", rows: 9, grows: true, what: "a heart rate above 300" },
];
