"""The benchmark's load for Locust: see locust.go for the variables."""

import os
import random

from locust import FastHttpUser, between, constant, constant_throughput, task

KIND = os.environ["BENCH_KIND"]  # get, post, open or users
PAGES = range(1, 21)
SEVERITIES = ["critical", "high", "medium", "low"]


class Asking(FastHttpUser):
    abstract = True

    def get(self, path, name):
        with self.client.get(path, name=name, catch_response=True) as answer:
            if answer.status_code != 200 or answer.json().get("status") != "ok":
                answer.failure("not the item")

    def post(self, path, body):
        with self.client.post(path, json=body, catch_response=True) as answer:
            if answer.status_code != 201 or answer.json().get("status") != "accepted":
                answer.failure("not accepted")


if KIND == "users":

    class Dispatcher(Asking):
        weight = 3
        wait_time = between(2, 5)

        @task(5)
        def incidents(self):
            self.get(f"/incidents?page={random.choice(PAGES)}", "incidents")

        @task(1)
        def alert(self):
            self.post("/alerts", {"source": "sensor", "severity": random.choice(SEVERITIES)})

    class Responder(Asking):
        weight = 5
        wait_time = between(3, 8)

        @task(2)
        def incidents(self):
            self.get(f"/incidents?page={random.choice(PAGES)}", "incidents")

        @task(3)
        def map(self):
            self.get(f"/map/{random.randrange(10000)}", "map")

    class Ingest(Asking):
        weight = 2
        wait_time = between(0.1, 0.5)

        @task
        def alert(self):
            self.post("/alerts", {"source": "sensor", "severity": random.choice(SEVERITIES)})

else:

    class Busy(Asking):
        if KIND == "open":
            wait_time = constant_throughput(float(os.environ["BENCH_RATE_PER_USER"]))
        else:
            wait_time = constant(0)

        @task
        def ask(self):
            if KIND == "post":
                self.post("/orders", {"product": random.choice(SEVERITIES), "count": random.randint(1, 3)})
            else:
                self.get(f"/items/{random.randint(1, 1000)}", "item")
