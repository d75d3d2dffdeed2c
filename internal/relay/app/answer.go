package app

import (
	"net/http"

	"github.com/pubsubctl/pubsubctl/internal/relay/fanout"
)

// header returns the header of an answer: the five CORS fields, wanted or not
// (Quirk Q39), and the content type unless it is empty.
func header(contentType string) http.Header {
	h := http.Header{
		"Access-Control-Allow-Origin":      {"*"},
		"Access-Control-Allow-Methods":     {"OPTIONS, HEAD, GET, POST, PUT, DELETE"},
		"Access-Control-Allow-Headers":     {"Authorization, Content-Type"},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Max-Age":           {"3600"},
	}
	if contentType != "" {
		h["Content-Type"] = []string{contentType}
	}
	return h
}

func (a *App) text(status int, body string) *fanout.Response {
	return &fanout.Response{Status: status, Header: a.plain, Body: []byte(body)}
}

func (a *App) notAllowed(allow string) *fanout.Response {
	h := a.plain.Clone()
	h["Allow"] = []string{allow}
	return &fanout.Response{Status: http.StatusMethodNotAllowed, Header: h, Body: []byte("Method Not Allowed\n")}
}

// platformError is what a client sees when the app crashes: the platform
// answers, so no CORS fields and no stream-error.
func platformError() *fanout.Response {
	return &fanout.Response{
		Status: http.StatusInternalServerError,
		Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}},
		Body:   []byte("Internal Server Error\n"),
	}
}
