"""The watermark: up to which moment a feed has been read completely."""
