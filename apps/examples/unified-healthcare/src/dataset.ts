import {
  addressName,
  copyRow,
  createRandom,
  type Dataset,
  type DatasetOptions,
  dateText,
  dayOf,
  type GeneratedTable,
  instantText,
  personName,
  pickFaultPositions,
  type Random,
  resolveDatasetOptions,
  weighted,
} from "@db/example-datagen";
import { type FaultId, faults } from "./fault.ts";

const specialties = [
  "General practice",
  "Paediatrics",
  "Cardiology",
  "Maternity",
  "Dental",
  "Eye care",
  "Physiotherapy",
];
const regions = ["Coast", "Nairobi", "Central", "Western", "Nyanza", "Rift Valley", "Eastern", "North Eastern"];
const reasons = ["Fever", "Check-up", "Vaccination", "Follow-up", "Back pain", "Cough", "Maumivu ya kichwa"];
// Symptom codes of ICD-10, chapter R, and Z for visits without illness.
const codes = weighted([
  ["Z00.0", 30],
  ["R50.9", 22],
  ["R05", 18],
  ["R51", 16],
  ["Z23", 9],
  ["R07.4", 5],
]);
const outcomes = weighted([
  ["COMPLETED", 80],
  ["CANCELLED", 12],
  ["NO_SHOW", 8],
]);
const firstDay = dayOf("2024-01-02");
const days = 720;
const clinicians = 80;
const slotsPerDay = 16;

/**
 * A clinic's patients, appointments and records: about 20,000 rows at scale 1, all of them invented.
 * @throws {InvalidDatasetOptionError}
 */
export function healthcareDataset(options: DatasetOptions = {}): Dataset {
  const chosen = resolveDatasetOptions(options);
  const { seed, scale } = chosen;
  const patients = Math.max(100, Math.round(4_000 * scale));
  const appointments = Math.max(300, Math.round(9_000 * scale));
  const records = Math.floor(appointments * 0.75);
  const positions = (id: FaultId, total: number): ReadonlySet<number> => pickFaultPositions(faults, id, chosen, total);
  // Appointment n is of patient n mod patients, so that everybody has one; the last is the newest.
  const patientOf = (appointment: number): number => appointment % patients;
  const startOf = (appointment: number): number => {
    // Every clinician's slots of half an hour are taken in turn, from eight in the morning in Nairobi.
    const slot = Math.floor(appointment / clinicians);
    const day = firstDay + Math.floor((appointment / appointments) * days);
    return day * 86_400 + (5 + Math.floor((slot % slotsPerDay) / 2)) * 3600 + (slot % 2) * 1800;
  };
  const tables: GeneratedTable[] = [
    {
      name: "Patient",
      columns: ["id", "email", "phone", "name", "birthDate", "createdAt", "updatedAt", "region"],
      rows: patients,
      *lines() {
        const random = createRandom(seed, "patients");
        const wrongPhone = positions("malformed-phone", patients);
        const bornLater = positions("record-before-birth", patients);
        for (let n = 0; n < patients; n++) {
          const name = personName(random);
          const digits = String(700_000_000 + random.below(99_999_999));
          const born = bornLater.has(n)
            ? Math.floor(startOf(n) / 86_400) + random.between(1, 200)
            : firstDay - random.between(30, 80 * 365);
          const created = utcText((firstDay - random.below(300)) * 86_400 + random.below(86_400));
          yield copyRow([
            key("p", n),
            random.chance(0.7) ? `${addressName(name)}${n}@patients.example.org` : null,
            wrongPhone.has(n) ? `0${digits.slice(0, 6)}` : `+254${digits}`,
            name,
            dateText(born),
            created,
            created,
            random.pick(regions),
          ]);
        }
      },
    },
    {
      name: "Clinician",
      columns: ["id", "name", "specialty"],
      rows: clinicians,
      *lines() {
        const random = createRandom(seed, "clinicians");
        for (let n = 0; n < clinicians; n++) {
          yield copyRow([key("c", n), `Dr ${personName(random)}`, specialties[n % specialties.length]!]);
        }
      },
    },
    {
      name: "Appointment",
      columns: ["id", "patientId", "clinicianId", "startsAt", "status", "reason"],
      rows: appointments,
      *lines() {
        const random = createRandom(seed, "appointments");
        const clashing = doubleBooked(
          positions("double-booking", Math.floor(appointments / clinicians / 2) * clinicians),
        );
        for (let n = 0; n < appointments; n++) {
          const start = startOf(clashing.has(n) ? n - clinicians : n);
          const status = n > appointments * 0.97 ? "SCHEDULED" : random.pick(outcomes);
          yield copyRow([
            key("a", n),
            key("p", patientOf(n)),
            key("c", n % clinicians),
            utcText(start),
            status,
            random.chance(0.9) ? random.pick(reasons) : null,
          ]);
        }
      },
    },
    {
      name: "MedicalRecord",
      columns: ["id", "patientId", "appointmentId", "code", "note", "vitals", "recordedAt"],
      rows: records,
      *lines() {
        const random = createRandom(seed, "records");
        const misfiled = positions("record-of-another-patient", records);
        const racing = positions("impossible-heart-rate", records);
        for (let n = 0; n < records; n++) {
          const patient = (patientOf(n) + (misfiled.has(n) ? 1 : 0)) % patients;
          yield copyRow([
            key("r", n),
            key("p", patient),
            key("a", n),
            random.pick(codes),
            `${random.pick(reasons)}, seen and advised.`,
            JSON.stringify(vitals(random, racing.has(n))),
            utcText(startOf(n) + 1_500),
          ]);
        }
      },
    },
  ];
  return { application: "unified-healthcare", version: 1, seed, scale, tables };
}

/**
 * The appointments that take the time of their clinician's previous one. Only every second of a clinician's can, so
 * that the one before keeps its own time.
 */
function doubleBooked(positions: ReadonlySet<number>): ReadonlySet<number> {
  const appointment = (position: number): number =>
    (2 * Math.floor(position / clinicians) + 1) * clinicians + (position % clinicians);
  return new Set([...positions].map(appointment));
}

/** As a column without a time zone takes it. */
function utcText(second: number): string {
  return instantText(second).replace("+00", "");
}

function vitals(random: Random, racing: boolean): Readonly<Record<string, number>> {
  return {
    heartRate: racing ? random.between(301, 900) : random.between(55, 110),
    systolic: random.between(95, 160),
    temperature: random.between(361, 395) / 10,
  };
}

/** An id of the length and looks of those the ORM makes, without their randomness. */
function key(kind: string, n: number): string {
  return `cl${kind}${(n + 1).toString(36).padStart(22, "0")}`;
}
