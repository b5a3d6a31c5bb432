/** What came of a simulation. What began before `warmUpMs` is not in it. */
export interface BalanceReport {
  readonly calls: number
  /** Tries of these calls; as many as calls where nothing was tried again. */
  readonly attempts: number
  /** Calls that failed in the end. */
  readonly errors: number
  /** `errors` to `calls`. */
  readonly errorShare: number
  /** Of whole calls, all their tries together, milliseconds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly hosts: readonly HostReport[]
}

/** What a host had to do. */
export interface HostReport {
  readonly id: string
  readonly attempts: number
  readonly failed: number
  /** Of all attempts. */
  readonly share: number
  /** Attempts in each second from the start, those of the warm-up too. */
  readonly perSecond: readonly number[]
}

/** Collects a {@link BalanceReport}. */
export interface Ledger {
  attempt(host: number, atMs: number, isCounted: boolean): void
  failed(host: number, isCounted: boolean): void
  call(ok: boolean, latencyMs: number): void
  report(): BalanceReport
}

/** An empty ledger for hosts of these ids. */
export function ledger(ids: readonly string[]): Ledger {
  const hosts = ids.map((id) => ({ id, attempts: 0, failed: 0, perSecond: [] as number[] }))
  const latencies: number[] = []
  let errors = 0
  return {
    attempt(host, atMs, isCounted) {
      const entry = hosts[host]
      if (!entry) return
      const second = Math.floor(atMs / 1_000)
      while (entry.perSecond.length <= second) entry.perSecond.push(0)
      entry.perSecond[second] = (entry.perSecond[second] ?? 0) + 1
      if (isCounted) entry.attempts += 1
    },
    failed(host, isCounted) {
      const entry = hosts[host]
      if (entry && isCounted) entry.failed += 1
    },
    call(ok, latencyMs) {
      latencies.push(latencyMs)
      if (!ok) errors += 1
    },
    report() {
      const sorted = Float64Array.from(latencies).sort()
      const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
      const attempts = hosts.reduce((sum, host) => sum + host.attempts, 0)
      return {
        calls: sorted.length,
        attempts,
        errors,
        errorShare: sorted.length === 0 ? 0 : errors / sorted.length,
        latencyMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
        hosts: hosts.map((host) => ({ ...host, share: attempts === 0 ? 0 : host.attempts / attempts })),
      }
    },
  }
}
