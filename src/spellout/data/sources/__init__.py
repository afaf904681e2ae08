"""From what people bring as files to blocks of clean lines."""
