// What the admin API answers: docs/mesh.md says what each key means. Keys that end in _ns
// are durations in nanoseconds, times are RFC 3339.

export interface Session {
  signed_in: boolean;
  roles: string[];
  token_wanted: boolean;
  csrf: string;
}

export interface Peer {
  address: string;
  service: string;
  instance: string;
  error: string;
  hops?: number;
}

export interface Answer {
  peers: Peer[];
  notes: string[];
}

export interface Member extends Peer {
  version: string;
  since?: string;
  self: boolean;
}

export interface Culprit {
  service: string;
  instance: string;
  part: string;
  kind: string;
  edge: string;
  caller: string;
}

/** TraceCulprit is a culprit as a trace names it. */
export interface TraceCulprit extends Culprit {
  flags: string;
  reason: string;
  evidence: string[];
  span_id: string;
  took_ns: number;
  unseen: boolean;
  inferred: boolean;
  unproven: boolean;
}

export interface MeshEvent {
  time: string;
  last: string;
  count: number;
  kind: string;
  service: string;
  cluster: string;
  endpoint: string;
  text: string;
}

export interface Change extends MeshEvent {
  services: string[];
  before_ns: number;
}

export interface Suffering {
  service: string;
  method: string;
  route: string;
  failed: number;
  requests: number;
}

export interface Common {
  dimension: string;
  values: string[];
  of: number;
  failing_share: number;
  good_share: number;
  text: string;
}

export interface Cause {
  culprit: Culprit;
  reason: string;
  other_reasons: number;
  requests: number;
  share: number;
  first: string;
  last: string;
  first_is_late: boolean;
  inferred: boolean;
  suffering: Suffering[];
  relays: string[];
  common: Common[];
  changed: Change[];
  then: Change[];
  trace_id: string;
  next: string;
}

export interface Why extends Answer {
  since: string;
  until: string;
  requests: number;
  failed: number;
  recovered: number;
  exact: boolean;
  verdict: string;
  causes: Cause[];
  recovered_causes: Cause[];
  not_at_fault: string[];
  lost_context: { service: string; calls: number; reason: string }[];
  services: { service: string; requests: number; failed: number }[];
}

/** Series has one number a window, the oldest first. */
export interface Series {
  service: string;
  caller?: string;
  method?: string;
  route?: string;
  cluster?: string;
  endpoint?: string;
  proxy?: string;
  proxied?: boolean;
  requests: number[];
  failed: number[];
  slow: number[];
  p50_ns: number[];
  p90_ns: number[];
  p99_ns: number[];
  blamed?: number[];
}

export interface SeriesAnswer extends Answer {
  since: string;
  until: string;
  window_ns: number;
  windows: number;
  services: Series[];
  edges: Series[];
  routes: Series[];
  endpoints: Series[];
}

export interface TraceSummary {
  trace_id: string;
  service: string;
  method: string;
  host: string;
  path: string;
  start: string;
  duration_ns: number;
  status: number;
  grpc_status: number | null;
  failed: boolean;
  slow: boolean;
  failed_hop: string;
  failure_reason: string;
  culprit: TraceCulprit | null;
  hops: number;
  next: string;
}

export interface TracesAnswer extends Answer {
  traces: TraceSummary[];
}

export interface ProxyEvent extends MeshEvent {
  proxy: string;
  instance: string;
}

export interface EventsAnswer extends Answer {
  events: ProxyEvent[];
}

export interface PeersAnswer extends Answer {
  mesh: string;
  peers: Member[];
}

export interface ConfigRoute {
  name: string;
  match: string;
  cluster: string;
  source?: { file: string; line: number };
  hits?: number;
  failed?: number;
  last_hit?: string;
  /** unreachable is why no request can take it. */
  unreachable?: string;
}

interface Shown { key: string; value: string }

export interface ExplainedRoute { number: number; name: string; match: string; catalog?: boolean; chance: number }

export interface ExplainedEarlier { number: number; name: string; catalog?: boolean; key: string; wants: string; has: string; absent?: boolean }

export interface ExplainedTarget {
  cluster: string;
  variant?: string;
  chance: number;
  balance: string;
  from: string;
  endpoints: { address: string; weight: number; health: string; why?: string }[];
  sent?: string[];
  changes?: string[];
}

/** Explanation is what becomes of a request: /v1/explain. */
export interface Explanation {
  request: string;
  listener: string;
  early?: boolean;
  route: ExplainedRoute | null;
  chance: number;
  others?: ExplainedRoute[];
  earlier: ExplainedEarlier[];
  filters: { of: string; name: string; settings?: string; asked: boolean }[];
  answer?: { status: number; grpc_status?: string; headers?: string[]; why?: string; flags?: string };
  targets?: ExplainedTarget[];
  timeouts?: Shown[];
  retry?: { attempts: number; on: string[] };
  settings?: Shown[];
  notes?: string[];
}

export interface ConfigListener {
  name: string;
  address: string;
  direction?: string;
  protocol: string;
  tls?: boolean;
  connections?: number;
  routes: ConfigRoute[];
}

export interface ConfigEndpoint {
  address: string;
  health: string;
  reason?: string;
  weight?: number;
  zone?: string;
  ejected?: boolean;
  ejected_until?: string;
  draining?: boolean;
  active?: number;
  /** requests and failed are of the last hour, latency_ns is a peak EWMA. */
  requests?: number;
  failed?: number;
  latency_ns?: number;
}

export interface ConfigCluster {
  name: string;
  service: string;
  source?: string;
  discovery?: { kind: string; age_ns?: number; error?: string };
  policy?: string;
  endpoints: ConfigEndpoint[];
}

export interface ConfigCertificate {
  name: string;
  subject: string;
  sans: string[];
  not_after: string;
  days_left: number;
  used_by: string[];
}

export interface Config {
  service: string;
  instance: string;
  version: string;
  config: { version?: string | number; hash?: string; source?: string; loaded?: string };
  listeners: ConfigListener[];
  clusters: ConfigCluster[];
  certificates: ConfigCertificate[];
  yaml?: string;
}

/** Word explains a flag, a kind, an error or an event. */
export interface Word {
  kind: string;
  name: string;
  title: string;
  text: string;
  remedy: string;
  /** causes are the usual ones, and next what to look at, a sentence each: text and remedy in parts. */
  causes?: string[];
  next?: string[];
}
