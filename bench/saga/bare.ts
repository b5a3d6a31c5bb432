import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { SagaSite, SagaSubject } from './subject.ts'

/** How many commits a saga of four steps in other systems takes: its start, and the end of each step. */
export const COMMITS = 5

/** About as long as what is stored of a saga at its start, and of an attempt of a step. */
const [STATE, ENTRY] = ['s'.repeat(350), 'e'.repeat(100)]

/**
 * No engine: what this disk and SQLite take from any that stores such a saga in five commits of one row, with
 * `synchronous=FULL`. One at a time nobody can be faster than that.
 */
export async function openBare({ folder }: SagaSite): Promise<SagaSubject> {
  const database = new DatabaseSync(join(folder, 'bare.db'))
  database.exec(`
    pragma journal_mode = wal; pragma synchronous = full;
    create table sagas (id integer primary key, state text not null) strict`)
  const begin = database.prepare('begin immediate')
  const insert = database.prepare('insert into sagas (state) values (?)')
  const update = database.prepare('update sagas set state = state || ? where id = ?')
  const commit = database.prepare('commit')
  return {
    async run() {
      begin.run()
      const { lastInsertRowid: id } = insert.run(STATE)
      commit.run()
      for (let revision = 1; revision < COMMITS; revision += 1) {
        begin.run()
        update.run(ENTRY, id)
        commit.run()
      }
    },
    close: async () => database.close(),
  }
}
