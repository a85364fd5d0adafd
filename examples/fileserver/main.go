// Command fileserver serves the files below a directory over HTTP: net/http as it is, on connections and files of ouro.
// What the page cache has is sent by sendfile; what has to be read from the disk waits on a ring.
package main

import (
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/ouro-io/ouro/file"
	"github.com/ouro-io/ouro/net"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", ".", "what to serve")
	flag.Parse()
	if info, err := os.Stat(*dir); err != nil {
		log.Fatal(err)
	} else if !info.IsDir() {
		log.Fatal(*dir, ": not a directory")
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("files on ", l.Addr())
	server := &http.Server{
		Handler:           http.FileServerFS(file.DirFS(*dir)),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Fatal(server.Serve(l))
}
