--- Words that people build passwords of, in lower case, composed for this project.
-- Runs, sequences, keyboard rows, years, dates and look-alike signs (p4ssw0rd) are recognised by rule and are not
-- listed; so are combinations: "Welcome-Summer-2024" is three cheap pieces. What stands here are the pieces, and
-- phrases that pieces alone would not give away.

local WORDS = [[
password passwort passwd passphrase pass pwd pword secret secrets geheim parola senha contrasena motdepasse wachtwoord
haslo salasana lozinka heslo parole jelszo adgangskode losenord sifre mima
admin administrator administration root superuser sysadmin sysop operator owner user users username guest anonymous
visitor account login logon signin access enter default change changeme changeit change_me change-me replace replaceme
temp temporary temppass tmp initial example sample demo test tester testing test123 foo bar foobar baz qux dummy
welcome willkommen bienvenue hello hallo bonjour hola ciao letmein let me in opensesame sesame trustno trustno1
master manager boss chief support helpdesk service services server servers client system systems network security
secure private public internal external office company corporate corp business enterprise team group staff employee
customer customers payment payments order orders shop store sales marketing finance billing invoice report reports
reporting analytics worker backup restore monitor monitoring metrics migration migrate readonly readwrite reader writer
app apps application applications api rest web website frontend backend batch cron jobs job queue cache
cockroach cockroachdb cockroaches cockroachlabs crdb roach database databases data db sql postgres postgresql pgsql
mysql mariadb oracle mongo mongodb redis sqlite mssql sqlserver defaultdb system cloud cluster clusters serverless
dedicated kubernetes docker container jenkins gitlab github terraform vault ansible openshift azure amazon aws google
gcp linux ubuntu debian redhat centos windows macos android iphone apple samsung microsoft nginx apache tomcat
prod production live stage staging preprod dev devel develop developer development local localhost qa uat sandbox
internet intranet router switch firewall cisco computer laptop desktop keyboard monitor server123 hardware software
qwerty qwertz azerty qwer asdf zxcv yxcv qaz wsx edc rfv tgb yhn ujm qazwsx qazwsxedc wsxedc
1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm 1qaz2wsx 1qaz2wsx3edc zaq1 xsw2 cde3 vfr4 bgt5 zaq12wsx zaq1xsw2 !qaz @wsx #edc
1q2w 1q2w3e 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 3e4r 5t6y 7u8i 9o0p q1w2 q1w2e3 q1w2e3r4 q1w2e3r4t5 e3r4 t5y6
qweasd qweasdzxc asdzxc qwe asd zxc poi lkj mnb qwert asdfg zxcvb plm okn ijb uhv ygc tfx
112233 121212 123123 123321 147258 147258369 159357 159753 741852 789456 456789 11223344 1122334455 112233445566
102030 010203 131313 232323 696969 314159 31415926 271828 007007 abc123 a1b2c3 a1b2c3d4 a1b2c3d4e5 a1b2 c3d4 e5f6
aabbcc aa11bb22 x1y2z3 abcd1234 abcabc xyzxyz
dragon monkey tiger lion eagle falcon phoenix panther wolf bear shark dolphin horse mustang pony unicorn rabbit
kitten puppy doggy cat dog fish bird snake spider butterfly ladybug buster rex max bella charlie oscar
football soccer baseball basketball hockey tennis golf rugby cricket volleyball racing skating surfing fishing hunting
arsenal chelsea liverpool everton manchester united city barcelona madrid juventus milan inter bayern dortmund ajax
celtic rangers yankees lakers cowboys steelers packers raiders patriots eagles bulldogs
superman batman spiderman wolverine ironman hulk thor joker avengers starwars startrek skywalker vader yoda jedi
matrix neo gandalf frodo hobbit mordor hogwarts potter pokemon pikachu mario zelda sonic minecraft fortnite warcraft
starcraft counterstrike callofduty halo diablo runescape league legends naruto goku doraemon hellokitty snoopy garfield
mickey minnie donald disney barbie princess prince king queen knight angel angels devil demon heaven hell jesus christ
god bible amen allah buddha krishna ganesh blessed faith hope grace love lover lovely loveme loveyou iloveyou iloveu
iloveme ily sweet sweetheart sweety honey darling baby babygirl babyboy beautiful gorgeous cutie cute sexy hottie
friend friends bestfriend forever together family mother father mommy daddy mama papa sister brother grandma
michael michelle jennifer jessica jordan ashley daniel david robert thomas andrew anthony joshua matthew nicole
amanda samantha elizabeth victoria alexander alexandra alexis christopher christian christina patrick richard
william james john joseph george charles edward henry peter paul mark steven stephen kevin brian jason justin
brandon ryan eric adam nathan benjamin samuel sandra sarah laura anna maria marina natasha natalie sophie julia
emily emma olivia hannah chloe lauren melissa rebecca rachel vanessa veronica carlos antonio fernando alejandro
roberto pedro pablo diego juan jose luis jorge miguel francisco mohammed muhammad ahmed ali fatima omar hassan
ibrahim priya rahul sanjay sunita raja kumar singh sharma wang zhang chen nguyen ivan sergey dmitry vladimir olga
jan feb mar apr may jun jul aug sep oct nov dec
january february march april june july august september october november december
januar februar juni juli oktober dezember
spring summer autumn fall winter season fruhling sommer herbst printemps automne hiver verano invierno primavera
monday tuesday wednesday thursday friday saturday sunday weekend holiday vacation birthday christmas easter halloween
thanksgiving newyear happy happiness smile sunshine sunny rainbow moonlight moon star stars sunset sunrise sky ocean
river mountain forest flower flowers rose lily daisy jasmine orchid cherry banana orange apple peach strawberry
chocolate cookie cookies coffee pizza burger pepper ginger sugar candy cheese butter chicken bacon whiskey vodka
red blue green yellow black white purple pink silver gold golden diamond crystal ruby emerald platinum iron steel
london paris berlin munich hamburg vienna zurich rome venice lisbon dublin amsterdam brussels warsaw prague budapest
moscow kyiv istanbul athens cairo dubai delhi mumbai bangalore beijing shanghai hongkong singapore tokyo osaka seoul
bangkok jakarta manila sydney melbourne auckland toronto montreal vancouver newyork boston chicago dallas houston
austin denver seattle portland california texas florida america england scotland ireland germany deutschland france
italia espana brasil mexico canada australia india china japan russia ukraine poland turkey
one two three four five six seven eight nine ten zero eins zwei drei first second last next number
the and this that is my our your his her its not you are was for with from new old big little good bad best top
cool awesome great super mega ultra ninja samurai shadow hunter killer warrior soldier captain pirate wizard
hacker hacked virus crypto bitcoin ethereum money dollar rich lucky lucky7 winner victory power force speed turbo
ferrari porsche mercedes bmw audi toyota honda nissan ford chevy camaro corvette harley yamaha suzuki kawasaki
guitar piano music metallica nirvana beatles eminem rockstar rock blink182 linkinpark slipknot ironmaiden
freedom liberty peace america1 whatever nothing something anything everything nobody someone
fuck fuckyou fuckoff shit asshole bitch bastard pussy
thisisapassword thisismypassword mypassword mysecret mypass nopassword nopass passwordpassword secretpassword
correcthorsebatterystaple correct-horse-battery-staple letmeinplease iamtheboss iamgod ihateyou ihatepasswords
donttellanyone dontforget rememberme pleasechangeme youshallnotpass maytheforcebewithyou winteriscoming
hunter2 ncc1701 ncc1701d thx1138 r2d2 c3po bond007 jamesbond
]]

---@type string[] without repeats
local M = {}
local seen = {}
for word in WORDS:gmatch "%S+" do
  if #word >= 3 and not seen[word] then
    seen[word] = true
    M[#M + 1] = word
  end
end

return M
