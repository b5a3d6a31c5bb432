import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HASTY, HELLO } from './subject.ts'

/** A proxy that is no Node program: what it is started with. Its files are in a folder of this run. */
export interface Native {
  /** Debian's package, and the program. */
  readonly program: string
  readonly versionFlag: string
  /** Writes its configuration. @returns its arguments and environment */
  prepare(options: NativeOptions): { readonly args: string[]; readonly env?: NodeJS.ProcessEnv }
}

export interface NativeOptions {
  readonly folder: string
  readonly port: number
  readonly originPort: number
  /** As in `ServeOptions`. */
  readonly isHasty: boolean
}

/** One worker, connections to the upstream kept, nothing logged, the forwarding headers that their pages show. */
export const natives: Readonly<Record<string, Native>> = {
  nginx: {
    program: 'nginx',
    versionFlag: '-v',
    prepare: ({ folder, port, originPort, isHasty }) =>
      nginx(
        folder,
        `${isHasty ? hastyNginx() : ''}
  upstream origin { server 127.0.0.1:${originPort} max_fails=0; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }
  }`,
      ),
  },
  haproxy: {
    program: 'haproxy',
    versionFlag: '-v',
    prepare({ folder, port, originPort, isHasty }) {
      const file = join(folder, 'haproxy.cfg')
      const { headMs, bodyMs, upstreamMs } = isHasty ? HASTY : { headMs: 10_000, bodyMs: 60_000, upstreamMs: 60_000 }
      writeFileSync(
        file,
        `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 5s
  timeout http-request ${headMs}ms
  timeout client ${bodyMs}ms
  timeout server ${upstreamMs}ms
  option forwardfor
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend origin
backend origin
  retries 0
  server one 127.0.0.1:${originPort}
`,
      )
      return { args: ['-db', '-f', file] }
    },
  },
  caddy: {
    program: 'caddy',
    versionFlag: 'version',
    prepare({ folder, port, originPort, isHasty }) {
      const file = join(folder, 'caddy.json')
      const timeouts = isHasty && { read_header_timeout: `${HASTY.headMs}ms`, read_timeout: `${HASTY.bodyMs}ms` }
      const transport = { protocol: 'http', ...(isHasty && { response_header_timeout: `${HASTY.upstreamMs}ms` }) }
      const proxy = { handler: 'reverse_proxy', upstreams: [{ dial: `127.0.0.1:${originPort}` }], transport }
      const server = { listen: [`127.0.0.1:${port}`], automatic_https: { disable: true }, ...timeouts, routes: [{ handle: [proxy] }] }
      writeFileSync(
        file,
        JSON.stringify({
          admin: { disabled: true },
          logging: { logs: { default: { level: 'ERROR' } } },
          apps: { http: { servers: { in: server } } },
        }),
      )
      const env = { GOMAXPROCS: '1', HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
      return { args: ['run', '--config', file], env }
    },
  },
}

/** An nginx that answers by itself: an origin that costs the least. */
export const nginxOrigin: Native = {
  program: 'nginx',
  versionFlag: '-v',
  prepare: ({ folder, port }) =>
    nginx(folder, `  server { listen 127.0.0.1:${port}; default_type text/plain; location / { return 200 "${HELLO.trim()}\\n"; } }`),
}

function nginx(folder: string, http: string): { args: string[] } {
  const file = join(folder, 'nginx.conf')
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `  ${what}_temp_path ${join(folder, what)};`)
  writeFileSync(
    file,
    `daemon off;
worker_processes 1;
pid ${join(folder, 'nginx.pid')};
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
${places.join('\n')}
${http}
}
`,
  )
  return { args: ['-e', 'stderr', '-c', file] }
}

function hastyNginx(): string {
  const { headMs, bodyMs, upstreamMs } = HASTY
  return `  client_header_timeout ${headMs}ms; client_body_timeout ${bodyMs}ms; proxy_read_timeout ${upstreamMs}ms;\n`
}
