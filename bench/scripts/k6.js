// The benchmark's load for k6: see k6.go for the variables.
import http from "k6/http";
import { check, sleep } from "k6";

const kind = __ENV.BENCH_KIND; // get, post, open or users
const url = __ENV.BENCH_URL;
const users = Number(__ENV.BENCH_USERS);
const duration = __ENV.BENCH_FOR;
const severities = ["critical", "high", "medium", "low"];

const persona = (exec, share) => ({
  executor: "ramping-vus",
  exec,
  startVUs: 0,
  gracefulRampDown: "0s",
  gracefulStop: "0s",
  stages: [
    { target: Math.round(users * share), duration: __ENV.BENCH_RAMP },
    { target: Math.round(users * share), duration },
  ],
});

const scenarios = {
  get: { all: { executor: "constant-vus", exec: "item", vus: users, duration, gracefulStop: "0s" } },
  post: { all: { executor: "constant-vus", exec: "order", vus: users, duration, gracefulStop: "0s" } },
  open: {
    all: {
      executor: "constant-arrival-rate",
      exec: "item",
      rate: Number(__ENV.BENCH_RATE),
      duration,
      preAllocatedVUs: users,
      gracefulStop: "5s",
    },
  },
  users: {
    dispatcher: persona("dispatcher", 0.3),
    responder: persona("responder", 0.5),
    ingest: persona("ingest", 0.2),
  },
};

export const options = {
  scenarios: scenarios[kind],
  summaryTrendStats: ["p(50)", "p(90)", "p(95)", "p(99)", "p(99.9)"],
};

const number = (below) => Math.floor(Math.random() * below);
const one = (of) => of[number(of.length)];
const json = { headers: { "Content-Type": "application/json" } };

function get(path) {
  check(http.get(`${url}${path}`), { item: (r) => r.status === 200 && r.json("status") === "ok" });
}

function post(path, body) {
  const r = http.post(`${url}${path}`, JSON.stringify(body), json);
  check(r, { accepted: (r) => r.status === 201 && r.json("status") === "accepted" });
}

export const item = () => get(`/items/${1 + number(1000)}`);

export const order = () => post("/orders", { product: one(severities), count: 1 + number(3), note: `order ${__ITER} of user ${__VU}` });

const alert = () => post("/alerts", { source: `sensor-${__VU}`, severity: one(severities), reading: Math.random() * 100 });
const incidents = () => get(`/incidents?page=${1 + number(20)}`);
const map = () => get(`/map/${__VU}`);

export function dispatcher() {
  number(6) < 5 ? incidents() : alert();
  sleep(2 + 3 * Math.random());
}

export function responder() {
  number(5) < 2 ? incidents() : map();
  sleep(3 + 5 * Math.random());
}

export function ingest() {
  alert();
  sleep(0.1 + 0.4 * Math.random());
}

export function handleSummary(data) {
  return { "summary.json": JSON.stringify(data.metrics.http_req_duration.values) };
}
