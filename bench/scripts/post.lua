-- What wrk sends when it posts: one fixed request.
wrk.method = "POST"
wrk.path = "/orders"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"product":"lamp","count":2,"note":"order 17 of user 42"}'
