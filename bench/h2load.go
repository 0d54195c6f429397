//go:build linux

package main

import "strconv"

// h2load speaks HTTP/1.1 when asked to, and HTTP/2 with one request at a time on
// a connection; it reports no percentiles.
var h2load = client{
	name: "h2load", program: "h2load", pack: "nghttp2-client", install: "apt-get install nghttp2-client",
	call: func(l load, url string) *call {
		args := []string{"-t1", "-c" + strconv.Itoa(l.users), "-D" + strconv.Itoa(int(l.during.Seconds()))}
		if l.kind != http2 {
			args = append(args, "--h1")
		}
		switch l.kind {
		case get, https, http2: // it trusts every certificate
		case post:
			args = append(args, "-d", "body.json", "-H", "content-type: application/json")
		default:
			return nil
		}
		return &call{args: append(args, url+l.path())}
	},
}
