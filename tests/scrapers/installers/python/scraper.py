import dep
import scraperwiki

scraperwiki.sql.save(["id"], {"id": 1})
print(f"{dep.NAME}, and {scraperwiki.__name__}")
