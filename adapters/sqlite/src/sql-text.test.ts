import { expect, it } from 'vitest'
import { controlOf, statementsOf } from './sql-text.ts'

it('finds the statements of a text, whatever stands in quotes and comments', () => {
  const sql = `; -- one; two
    select 'a;b', 'it''s; c', "d;e", [f;g], \`h;i\` /* j; 'k */ from t;;
    /*/ l; */ insert into t values ('m') -- n`
  expect(statementsOf(sql)).toEqual(["select '', '''', '', '', ''   from t", "insert into t values ('')"])
  expect(statementsOf(' ; -- nothing\n /* at; all */')).toEqual([])
})

it('takes what has no end as going on to the end', () => {
  for (const open of ["'", '"', '`', '[']) expect(statementsOf(`select ${open}a; commit`)).toEqual(["select ''"])
  for (const open of ['--', '/*']) expect(statementsOf(`select 1 ${open} a; commit`)).toEqual(['select 1'])
})

it('takes a trigger as one statement, up to the END behind a semicolon', () => {
  const does = 'after insert on t begin update t set n = case when 1 then 2 end; delete from u; end'
  for (const create of ['create trigger', 'CREATE TEMP TRIGGER', 'create /* a */ temporary\ntrigger if not exists']) {
    const statements = statementsOf(`${create} a ${does}; select 1; end; commit`)
    expect(statements.slice(1)).toEqual(['select 1', 'end', 'commit'])
  }
})

it('tells what ends a transaction, or touches more than it, by the first word', () => {
  const texts = ['Commit', 'END', 'rollback to a', 'pragma foreign_keys = off', 'select end', 'endless', "'' commit"]
  expect(texts.map(controlOf)).toEqual(['COMMIT', 'END', 'ROLLBACK', 'PRAGMA', undefined, undefined, undefined])
})
