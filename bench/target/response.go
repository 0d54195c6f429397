//go:build linux

package main

import (
	"fmt"
	"time"
)

// The bodies are constant: what is measured is the client. The item's JSON
// is about 250 bytes long, the headers are those that a small service sends.
const (
	item = `{"status":"ok","item":{"id":"a3f9c2d1","name":"brass lamp","price":49.9,"currency":"EUR",` +
		`"stock":17,"tags":["light","brass","sale"],"size":{"w":120,"h":340,"d":120}},` +
		`"seller":{"id":4711,"name":"Lamps and Sons","rating":4.7},"page":{"next":null}}`
	receipt = `{"status":"accepted","order":{"id":"0f8b6e55-7d0e-4d0e-9d0b-2f6d7f6a1c11","total":149.7,"lines":1}}`
)

func response(status, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\n"+
		"Server: target\r\nDate: %s\r\nContent-Type: application/json\r\n"+
		"Cache-Control: no-store\r\nContent-Length: %d\r\n\r\n%s",
		status, time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), len(body), body)
}
