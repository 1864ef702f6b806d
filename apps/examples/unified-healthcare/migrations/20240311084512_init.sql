-- migrate:up
-- In the naming an ORM gives: quoted, singular, camel case, text ids, times without a zone (they are UTC).
create type "AppointmentStatus" as enum ('SCHEDULED', 'COMPLETED', 'CANCELLED', 'NO_SHOW');

create table "Patient" (
  "id"        text not null,
  "email"     text,
  "phone"     text not null,
  "name"      text not null,
  "birthDate" date not null,
  "createdAt" timestamp(3) not null default current_timestamp,
  "updatedAt" timestamp(3) not null,
  constraint "Patient_pkey" primary key ("id")
);

create table "Clinician" (
  "id"        text not null,
  "name"      text not null,
  "specialty" text not null,
  constraint "Clinician_pkey" primary key ("id")
);

create table "Appointment" (
  "id"          text not null,
  "patientId"   text not null,
  "clinicianId" text not null,
  "startsAt"    timestamp(3) not null,
  "status"      "AppointmentStatus" not null default 'SCHEDULED',
  "reason"      text,
  constraint "Appointment_pkey" primary key ("id"),
  constraint "Appointment_patientId_fkey" foreign key ("patientId") references "Patient" ("id")
    on delete restrict on update cascade,
  constraint "Appointment_clinicianId_fkey" foreign key ("clinicianId") references "Clinician" ("id")
    on delete restrict on update cascade
);

create unique index "Patient_email_key" on "Patient" ("email");

-- migrate:down
drop table "Appointment";
drop table "Clinician";
drop table "Patient";
drop type "AppointmentStatus";
