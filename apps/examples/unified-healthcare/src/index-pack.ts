import type { IndexPack } from "@db/indexer";

/** The indexes the clinic's pages want; the ORM makes none for a relation. */
export const healthcareIndexPack: IndexPack = {
  name: "unified-healthcare",
  description: "Appointments and records by patient and by day",
  indexes: [
    {
      name: "MedicalRecord_patientId_recordedAt_idx",
      table: "MedicalRecord",
      keys: [{ column: "patientId" }, { column: "recordedAt" }],
      why: "Opens a patient's file, newest first.",
    },
    {
      name: "Appointment_clinicianId_startsAt_idx",
      table: "Appointment",
      keys: [{ column: "clinicianId" }, { column: "startsAt" }],
      why: "Shows a clinician's day.",
    },
    {
      name: "Appointment_patientId_idx",
      table: "Appointment",
      keys: [{ column: "patientId" }],
      why: "Lists a patient's appointments, and lets a patient be removed without reading every one.",
    },
  ],
};
