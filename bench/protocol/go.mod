module github.com/ouro-io/ouro/bench/protocol

go 1.25.0

require github.com/HdrHistogram/hdrhistogram-go v1.4.0
