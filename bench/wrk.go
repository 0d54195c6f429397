//go:build linux

package main

import "strconv"

// wrk sends fixed bytes as fast as its connections allow, checks nothing, and
// knows no schedule.
var wrk = client{
	name: "wrk", program: "wrk", pack: "wrk", install: "apt-get install wrk",
	call: func(l load, url string) *call {
		args := []string{"-t1", "-c" + strconv.Itoa(l.users), "-d" + l.seconds()}
		switch l.kind {
		case get, https: // it trusts every certificate
		case post:
			args = append(args, "-s", "post.lua")
		default:
			return nil
		}
		return &call{args: append(args, url+l.path())}
	},
}
