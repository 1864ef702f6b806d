-- migrate:up
create table quizzes (
  id        integer primary key,
  lesson_id integer not null references lessons (id) on delete cascade,
  title     text not null,
  max_score integer not null default 10
);

-- SQLite did not enforce foreign keys unless asked, so nobody noticed that the student's was forgotten.
create table quiz_attempts (
  id           integer primary key,
  quiz_id      integer not null references quizzes (id) on delete cascade,
  student_id   integer not null,
  score        integer not null,
  attempted_at text not null
);

create index quiz_attempts_quiz_id_idx on quiz_attempts (quiz_id);

-- migrate:down
drop table quiz_attempts;
drop table quizzes;
