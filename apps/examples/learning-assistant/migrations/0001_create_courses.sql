-- migrate:up
-- As the first version had it in SQLite: 0 and 1 for truth, text for time, JSON in text.
create table courses (
  id           integer primary key,
  title        text not null,
  subject      text not null,
  is_published integer not null default 0,
  settings     text not null default '{}',
  created_at   text not null
);

create table lessons (
  id        integer primary key,
  course_id integer not null references courses (id) on delete cascade,
  position  integer not null,
  title     text not null,
  content   text not null,
  minutes   integer not null default 10,
  constraint lessons_course_position_key unique (course_id, position)
);

create table students (
  id         integer primary key,
  email      text not null unique,
  name       text not null,
  is_active  integer not null default 1,
  created_at text not null
);

create table lesson_progress (
  student_id   integer not null references students (id) on delete cascade,
  lesson_id    integer not null references lessons (id) on delete cascade,
  started_at   text not null,
  completed_at text,
  primary key (student_id, lesson_id)
);

-- migrate:down
drop table lesson_progress;
drop table students;
drop table lessons;
drop table courses;
