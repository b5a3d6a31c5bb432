import type { Migration } from '@banyan/core'

/** The tables behind `watchFlows` and `flows`. Times are milliseconds since 1970. */
export const flows: Migration = {
  id: 'banyan-003-flows',
  sql: `
    -- "flags": the kinds of its open flags, joined by commas; empty when it needs nobody.
    create table banyan_flows (
      flow text not null,
      correlation_id text not null,
      version integer not null,
      status text not null check (status in ('ignored', 'running', 'stopped', 'ended')),
      flags text not null,
      state text not null,
      wake_at bigint,
      created_at bigint not null,
      updated_at bigint not null,
      primary key (flow, correlation_id)
    );
    create index banyan_flows_wake on banyan_flows (wake_at) where wake_at is not null;
    create index banyan_flows_flagged on banyan_flows (flow, updated_at) where flags <> '';
    create index banyan_flows_changed on banyan_flows (updated_at);
    create index banyan_flows_settled on banyan_flows (flow, updated_at) where wake_at is null and flags = '';

    create table banyan_flow_audit (
      id bigint generated always as identity primary key,
      flow text not null,
      correlation_id text not null,
      flag text not null,
      event text not null,
      decided_by text not null,
      why text not null,
      at bigint not null
    );
    create index banyan_flow_audit_flow on banyan_flow_audit (flow, correlation_id);
  `,
}
