package cmd

import (
	"io"
	"net"
	"net/http"
)

// serveDeaf serves on l a Pub/Sub service that accepts everything and delivers
// nothing, until l is closed; the result is closed when it is over.
func serveDeaf(l net.Listener) <-chan struct{} {
	srv := &http.Server{Handler: http.HandlerFunc(deaf)}
	stopped := make(chan struct{})
	go func() { // ends with l
		defer close(stopped)
		_ = srv.Serve(l)
		srv.Close()
	}()
	return stopped
}

func deaf(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Max-Age", "3600")
	if r.Method == http.MethodPost {
		io.WriteString(w, "Published\n")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, "event: stream-open\ndata: \n\n")
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}
