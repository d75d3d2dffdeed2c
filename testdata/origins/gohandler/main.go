// Command gohandler is an origin in plain net/http, without any GRIP library: what a backend has to say itself.
//
//	gohandler -listen 127.0.0.1:3000 -publish http://127.0.0.1:5561/publish/
//
// It serves /stream, /long-poll, /pages (next links), /news (prev-id with recovery) and /websocket, and sends on what is posted to
// /publish and /news.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "address to serve on")
	publish := flag.String("publish", "http://127.0.0.1:5561/publish/", "where items go")
	flag.Parse()
	s := &server{publishURL: *publish}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", s.stream)
	mux.HandleFunc("GET /long-poll", s.longPoll)
	mux.HandleFunc("POST /publish", s.publish)
	mux.HandleFunc("GET /pages/{n}", s.page)
	mux.HandleFunc("GET /news", s.news)
	mux.HandleFunc("POST /news", s.addNews)
	mux.HandleFunc("POST /websocket", s.websocket)
	log.Fatal(http.ListenAndServe(*listen, mux))
}

type server struct {
	publishURL string

	mu      sync.Mutex
	entries []string // the news; their ids are 1, 2, 3…
}

func (s *server) stream(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Grip-Hold", "stream")
	h.Set("Grip-Channel", "go")
	h.Set("Grip-Keep-Alive", `.\n; format=cstring; timeout=1`)
	_, _ = io.WriteString(w, "open\n")
}

func (s *server) longPoll(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Grip-Hold", "response")
	h.Set("Grip-Channel", "go")
	h.Set("Grip-Timeout", "5")
	_, _ = io.WriteString(w, "nothing new\n")
}

// page is one of three pages that the proxy joins; the last one holds.
func (s *server) page(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		http.Error(w, "no such page", http.StatusNotFound)
		return
	}
	if n < 3 {
		w.Header().Set("Grip-Link", fmt.Sprintf("</pages/%d>; rel=next", n+1))
	} else {
		w.Header().Set("Grip-Hold", "stream")
		w.Header().Set("Grip-Channel", "go")
	}
	fmt.Fprintf(w, "page %d\n", n)
}

// news is a stream that misses nothing: what came after the client's position, then what is published; the proxy
// asks again with the id it saw last when something is missing.
func (s *server) news(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.Atoi(r.URL.Query().Get("after"))
	for _, last := range r.Header.Values("Grip-Last") {
		if _, id, ok := strings.Cut(last, "last-id="); ok {
			after, _ = strconv.Atoi(id)
		}
	}
	s.mu.Lock()
	entries := s.entries
	s.mu.Unlock()
	after = min(max(after, 0), len(entries))
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Grip-Hold", "stream")
	h.Set("Grip-Channel", fmt.Sprintf("news; prev-id=%d", len(entries)))
	h.Set("Grip-Link", fmt.Sprintf("</news?after=%d>; rel=next", len(entries)))
	for i, entry := range entries[after:] {
		fmt.Fprintf(w, "%d %s\n", after+i+1, entry)
	}
}

// addNews stores the body and publishes it, unless told to keep silent: then it is what a lost publish would be.
func (s *server) addNews(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.entries = append(s.entries, string(body))
	id := len(s.entries)
	s.mu.Unlock()
	if r.URL.Query().Has("silent") {
		return
	}
	s.send(w, map[string]any{
		"channel": "news", "id": strconv.Itoa(id), "prev-id": strconv.Itoa(id - 1),
		"formats": map[string]any{"http-stream": map[string]any{"content": fmt.Sprintf("%d %s\n", id, body)}},
	})
}

func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.send(w, map[string]any{"channel": "go", "formats": map[string]any{
		"http-stream":   map[string]any{"content": string(body)},
		"http-response": map[string]any{"body": string(body)},
		"ws-message":    map[string]any{"content": string(body)},
	}})
}

func (s *server) send(w http.ResponseWriter, item map[string]any) {
	body, err := json.Marshal(map[string]any{"items": []any{item}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	resp, err := http.Post(s.publishURL, "application/json", bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

// websocket answers WebSocket-over-HTTP events: it subscribes on OPEN and sends back what it is sent, in capitals.
func (s *server) websocket(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var out bytes.Buffer
	for len(body) > 0 {
		var kind string
		var content []byte
		kind, content, body = event(body)
		switch kind {
		case "OPEN":
			w.Header().Set("Sec-WebSocket-Extensions", `grip; message-prefix=""`)
			out.WriteString("OPEN\r\n")
			emit(&out, "TEXT", []byte(`c:{"type":"subscribe","channel":"go"}`))
		case "TEXT":
			emit(&out, "TEXT", bytes.ToUpper(content))
		case "PING":
			emit(&out, "PONG", content)
		case "CLOSE":
			emit(&out, "CLOSE", content)
		}
	}
	w.Header().Set("Content-Type", "application/websocket-events")
	_, _ = w.Write(out.Bytes())
}

// event cuts the first event off body. What cannot be read ends it.
func event(body []byte) (kind string, content, rest []byte) {
	line, rest, _ := bytes.Cut(body, []byte("\r\n"))
	kind, size, sized := strings.Cut(string(line), " ")
	if !sized {
		return kind, nil, rest
	}
	n, err := strconv.ParseUint(size, 16, 31)
	if err != nil || int(n)+2 > len(rest) {
		return "", nil, nil
	}
	return kind, rest[:n], rest[n+2:]
}

func emit(out *bytes.Buffer, kind string, content []byte) {
	fmt.Fprintf(out, "%s %x\r\n%s\r\n", kind, len(content), content)
}
