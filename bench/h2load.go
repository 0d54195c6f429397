//go:build linux

package main

import "strconv"

// h2load speaks HTTP/1.1 when asked to; it reports no percentiles.
var h2load = client{
	name: "h2load", program: "h2load", pack: "nghttp2-client", install: "apt-get install nghttp2-client",
	call: func(l load, url string) *call {
		args := []string{"--h1", "-t1", "-c" + strconv.Itoa(l.users), "-D" + strconv.Itoa(int(l.during.Seconds()))}
		switch l.kind {
		case get:
		case post:
			args = append(args, "-d", "body.json", "-H", "content-type: application/json")
		default:
			return nil
		}
		return &call{args: append(args, url+l.path())}
	},
}
