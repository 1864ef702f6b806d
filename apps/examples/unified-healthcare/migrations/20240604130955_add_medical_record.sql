-- migrate:up
create table "MedicalRecord" (
  "id"            text not null,
  "patientId"     text not null,
  "appointmentId" text,
  "code"          text not null,
  "note"          text not null,
  "vitals"        jsonb not null default '{}',
  "recordedAt"    timestamp(3) not null default current_timestamp,
  constraint "MedicalRecord_pkey" primary key ("id"),
  constraint "MedicalRecord_patientId_fkey" foreign key ("patientId") references "Patient" ("id")
    on delete restrict on update cascade,
  constraint "MedicalRecord_appointmentId_fkey" foreign key ("appointmentId") references "Appointment" ("id")
    on delete set null on update cascade
);

-- migrate:down
drop table "MedicalRecord";
